"""The HTTPS API: proxy events of API Gateway in, JSON out."""
