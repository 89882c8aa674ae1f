"""What happens on each event, and in the background: load, decide by the domain, save, queue what to tell the world."""
