"""An index on disk or object storage: LanceDB tables and a card. The only module that touches LanceDB."""
