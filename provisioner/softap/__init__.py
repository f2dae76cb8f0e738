"""One Photon in listening mode: protocol (sans-I/O), wifi_password (pure), client."""
