-- Takes arrivals whose turn it is, and has others leave them alone for a while.
-- KEYS: queue (sorted set by the time from which an item may be taken). ARGV: 1 for how long, ms; 2 how many.
-- Returns {time until which they are taken, item, ...}.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now), 'LIMIT', 0, ARGV[2])
local until_ = string.format('%.0f', now + tonumber(ARGV[1]))
for _, item in ipairs(found) do redis.call('ZADD', KEYS[1], until_, item) end
table.insert(found, 1, until_)
return found
