"""Areas, crime rates, and whether features say anything about them."""
