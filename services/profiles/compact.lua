-- Puts a user's seen items without their repeats in the place of those with them, unless the profile has changed meanwhile.
-- KEYS: profile, seen. ARGV: 1 revision, under which seen was read; 2 the new seen; 3, 4 field and value of the profile.
-- Returns 1 if done, 0 if the profile has changed: seen changes with the revision alone.
if redis.call('HGET', KEYS[1], 'r') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[2], 'KEEPTTL')
redis.call('HSET', KEYS[1], ARGV[3], ARGV[4])
return 1
