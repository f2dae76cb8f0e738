"""The Particle cloud: payloads (pure), governor, tokens, transport (the one place that knows httpx), client."""
