"""The gateway: LiteLLM, in front of all endpoints."""
