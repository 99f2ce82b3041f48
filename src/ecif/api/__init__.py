"""HTTP in: routers are a signature and one call; errors become problem documents in one table."""
