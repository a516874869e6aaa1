-- Says that the index holds an item as it is stored, unless the record has moved on.
-- KEYS: record, vectors. ARGV: 1 stamp that was indexed; 2 model; 3 filter digest. Returns 1 if marked.
local stored = redis.call('GET', KEYS[1])
if not stored or string.sub(stored, 2, 10) ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[2], 'i:' .. ARGV[2], ARGV[1] .. ARGV[3])
local left = redis.call('PTTL', KEYS[1])
if left > 0 then redis.call('PEXPIRE', KEYS[2], left) end
return 1
