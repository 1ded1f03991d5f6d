"""What people are told: that something awaits them, never what it says."""
