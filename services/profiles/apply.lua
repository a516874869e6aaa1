-- Writes one user's profile, unless it has changed since it was read.
-- KEYS: profile, seen. ARGV: 1 revision that was read, "" for none; 2 new revision; 3 time to live, ms; 4 "1" to begin it anew;
--       5 "1" to forget everything first; 6 bytes to append to seen; then field, value, ... of the profile.
-- Returns 0 if the profile has changed; if it was written, the length of seen where something was appended, else 1.
local revision = redis.call('HGET', KEYS[1], 'r') or ''
-- The client sends a pipeline again when the connection broke: our own write is there already.
if revision == ARGV[2] then return 1 end
if revision ~= ARGV[1] then return 0 end
if ARGV[5] == '1' then redis.call('DEL', KEYS[1], KEYS[2]) end
redis.call('HSET', KEYS[1], 'r', ARGV[2], unpack(ARGV, 7))
local anew = ARGV[4] == '1'
local length = 1
if ARGV[6] ~= '' then
  length = redis.call('APPEND', KEYS[2], ARGV[6])
  -- A key that this makes would live for ever.
  if length == #ARGV[6] then anew = true end
end
if anew then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  redis.call('PEXPIRE', KEYS[2], ARGV[3])
end
return length
