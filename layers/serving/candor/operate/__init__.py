"""Operation of the service: logs and metrics, drift detection, checks before traffic, and counts safe to publish."""
