"""Where things are in the rehearsal's own network. All but the nodes' are on its loopback."""

from __future__ import annotations

METADATA = "169.254.169.254"
"""Instance metadata, port 80: the address that every SDK knows."""
AWS = "169.254.170.1"
"""The emulated AWS, HTTPS on port 443."""
ISSUER = "169.254.170.2"
"""Who issues the tokens that clients show to the load balancer, HTTPS on port 443."""
BALANCER = "169.254.170.3"
"""The load balancer, HTTPS on port 443."""
