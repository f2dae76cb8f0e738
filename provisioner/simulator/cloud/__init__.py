"""The simulated Particle cloud: state and rules (pure), then the API over HTTP, and how it is served."""
