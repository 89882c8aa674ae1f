"""The collector: reads vendors, takes events in from applications, and publishes both as facts."""
