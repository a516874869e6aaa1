-- Lets users no longer wait for an item.
-- KEYS: users who wait, key prefixes of those. ARGV: 1 key prefix; 2 how many of the users that follow had their profile moved;
--       the others' profiles do not know that they wait, and count only once the time for that is over.
-- Returns how many still wait.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
for i = 3, #ARGV do
  local since = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if since and (i - 2 <= tonumber(ARGV[2]) or tonumber(since) <= now) then redis.call('ZREM', KEYS[1], ARGV[i]) end
end
local left = redis.call('ZCARD', KEYS[1])
if left == 0 then redis.call('SREM', KEYS[2], ARGV[1]) end
return left
