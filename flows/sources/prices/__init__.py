"""What the exchanges share: daily closes in USD, fetched page by page and checked."""
