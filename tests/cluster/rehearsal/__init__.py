"""A rehearsal without a cluster: the manifests' own commands, variables and probes as processes (make rehearse)."""
