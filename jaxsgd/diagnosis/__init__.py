"""Why a real training log has stripes, sawteeth or stairs with the period of an epoch."""
