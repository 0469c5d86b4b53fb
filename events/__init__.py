"""Sample events, one for each trigger, and the development server that makes such events of HTTP requests."""
