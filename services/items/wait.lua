-- Has a user wait for an item's vector, unless it is there.
-- KEYS: vectors, users who wait (sorted set), key prefixes of those (set).
-- ARGV: 1 model; 2 user; 3 how long the user's profile may not know yet that it waits, ms; 4 most users; 5 time to live, ms;
--       6 key prefix of the profiles.
-- Returns 0 if the user waits, 1 if the vector is there, 2 if too many wait.
if redis.call('HEXISTS', KEYS[1], 'v:' .. ARGV[1]) == 1 then return 1 end
if not redis.call('ZSCORE', KEYS[2], ARGV[2]) and redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[4]) then return 2 end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('ZADD', KEYS[2], string.format('%.0f', now + tonumber(ARGV[3])), ARGV[2])
redis.call('SADD', KEYS[3], ARGV[6])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
redis.call('PEXPIRE', KEYS[3], ARGV[5])
return 0
