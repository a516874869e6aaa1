-- Puts a user's shadow in place of the live profile, or removes it, unless either has changed since both were read.
-- KEYS: live profile, live seen, shadow's profile, shadow's seen.
-- ARGV: 1 live revision that was read, "" for none; 2 shadow's revision; 3 time to live, ms, 0 to remove the shadow.
-- Returns 1 if done, 0 if a profile has changed.
local live, shadow = redis.call('HGET', KEYS[1], 'r') or '', redis.call('HGET', KEYS[3], 'r')
-- The client sends a pipeline again when the connection broke: our own step may be done already.
if not shadow then return 1 end
if live ~= ARGV[1] or shadow ~= ARGV[2] then return 0 end
if ARGV[3] == '0' then
  redis.call('DEL', KEYS[3], KEYS[4])
  return 1
end
redis.call('HDEL', KEYS[3], 'x')
redis.call('RENAME', KEYS[3], KEYS[1])
if redis.call('EXISTS', KEYS[4]) == 1 then
  redis.call('RENAME', KEYS[4], KEYS[2])
else
  redis.call('DEL', KEYS[2])
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return 1
