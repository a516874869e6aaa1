-- Gives an arrival back that is taken until a time, unless it has come again since.
-- KEYS: queue. ARGV: 1 item; 2 that time; 3 "1" to remove it, "0" to let it be taken at once.
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score or tonumber(score) ~= tonumber(ARGV[2]) then return 0 end
if ARGV[3] == '1' then
  redis.call('ZREM', KEYS[1], ARGV[1])
else
  redis.call('ZADD', KEYS[1], '0', ARGV[1])
end
return 1
