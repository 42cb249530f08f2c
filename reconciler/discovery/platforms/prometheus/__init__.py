"""Prometheus's formats of targets: files (`file_sd`) and a URL (`http_sd`)."""
