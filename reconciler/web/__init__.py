"""HTTP for people and machines: health, readiness and status. The only room that knows FastAPI and uvicorn."""
