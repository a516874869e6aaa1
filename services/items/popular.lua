-- Adds to items' popularity.
-- KEYS: weights (sorted set), clock (hash). ARGV: 1 half-life, ms; 2 time of the events, ms; 3 items kept; then item, weight, ...
-- The stored weights are those of the landmark, a time that the clock holds in half-lives; see popular.go.
local FARTHEST = 512
local half, at = tonumber(ARGV[1]), tonumber(ARGV[2])
local now = math.floor(at / half)
local landmark = tonumber(redis.call('HGET', KEYS[2], 'landmark') or now)
if now - landmark > FARTHEST then
  redis.call('ZUNIONSTORE', KEYS[1], 1, KEYS[1], 'WEIGHTS', string.format('%.17g', 2 ^ (landmark - now)))
  landmark = now
end
local gain = 2 ^ ((at - landmark * half) / half) -- the difference of whole numbers is exact
for i = 4, #ARGV, 2 do
  redis.call('ZINCRBY', KEYS[1], string.format('%.17g', tonumber(ARGV[i + 1]) * gain), ARGV[i])
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', 0)
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -tonumber(ARGV[3]) - 1)
local latest = math.max(at, tonumber(redis.call('HGET', KEYS[2], 'latest') or at))
redis.call('HSET', KEYS[2], 'landmark', string.format('%.0f', landmark), 'latest', string.format('%.0f', latest))
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, string.format('%.0f', half * FARTHEST)) end
return 1
