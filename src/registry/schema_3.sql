-- Whether an attempt only tried again, in vain, whom the one before had not reached:
-- such a span counts once. Nodes before this did not say.
ALTER TABLE attempts ADD COLUMN again INTEGER NOT NULL DEFAULT 0;
