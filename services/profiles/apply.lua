-- Writes one user's profile, unless it has changed since it was read.
-- KEYS: profile, seen. ARGV: 1 revision that was read, "" for none; 2 new revision; 3 time to live, ms
--       4 "1" to forget everything first; 5 bytes to append to seen; then field, value, ... of the profile.
-- Returns 1 if written, 0 if the profile has changed.
local revision = redis.call('HGET', KEYS[1], 'r') or ''
-- The client sends a pipeline again when the connection broke: our own write is there already.
if revision == ARGV[2] then return 1 end
if revision ~= ARGV[1] then return 0 end
if ARGV[4] == '1' then redis.call('DEL', KEYS[1], KEYS[2]) end
redis.call('HSET', KEYS[1], 'r', ARGV[2], unpack(ARGV, 6))
if ARGV[5] ~= '' then redis.call('APPEND', KEYS[2], ARGV[5]) end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return 1
