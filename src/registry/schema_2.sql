-- What a node relays for others; none before it said so.
ALTER TABLE states ADD COLUMN relay_sessions INTEGER;
ALTER TABLE states ADD COLUMN relay_bytes INTEGER;
