-- Puts one shelf of popular items in place of another.
-- KEYS: weights, clock, the other's weights, the other's clock.
if redis.call('EXISTS', KEYS[3]) == 0 then return 0 end
redis.call('RENAME', KEYS[3], KEYS[1])
redis.call('RENAME', KEYS[4], KEYS[2])
return 1
