"""Search of the vectors of one modality: codes, lists, evidence, exact scan, GPU, and the sidecar that holds them."""
