"""What HistoSeek needs of a machine, looked at before a run is started."""
