-- Bounds the shelf of recent items: that many whose time has come, the newest, and as many to come, the soonest.
-- KEYS: shelf. ARGV: 1 now, ms; 2 how many.
local kept, size = tonumber(ARGV[2]), redis.call('ZCARD', KEYS[1])
if size <= kept then return 0 end
local come = #redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
local ahead = size - come
if ahead > kept then redis.call('ZREMRANGEBYRANK', KEYS[1], come + kept, -1) end
if come > kept then redis.call('ZREMRANGEBYRANK', KEYS[1], 0, come - kept - 1) end
return 1
