-- Notes up to which offset of a partition the catalogue has judged the changes; the note never goes back, but where the topic was made
-- anew and ends before it.
-- KEYS: hash. ARGV: 1 field; 2 offset; 3 end of the partition.
local known = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '-1')
if known < tonumber(ARGV[2]) or known >= tonumber(ARGV[3]) then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
return 1
