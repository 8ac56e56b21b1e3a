"""How well loops of agents are found: on recorded runs, on made ones, and what it costs."""
