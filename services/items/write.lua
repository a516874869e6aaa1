-- Writes what one batch says about one item.
-- KEYS: record, vectors, key prefixes of the profiles that wait for the vector.
-- ARGV: 1 "1" if the batch has a tombstone; 2 stamp of the best change before it, or ""
--       3 value of the best record after it, or ""; 4 model, or ""; 5 vector as bytes, or ""; 6 filter digest
--       7 stamp of the stored vector that equals the new one nearly, or ""; 8 retention of deleted items, ms
-- Returns {tombstone's status, record's status, stamp that is stored now, 1 if the index has to hear of it,
--          key prefixes of the profiles that wait for a vector that is there now,
--          value of the live record that is stored instead of the one that came, or ""}.
local FORMAT, STAMP, NOTHING = '\1', 9, string.rep('\0', 8)

-- Stamps are compared byte by byte: Lua compares strings by locale, and a version needs more than a double's 53 bits.
local function after(a, b)
  for i = 1, STAMP do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x > y end
  end
  return false
end

local stored = redis.call('GET', KEYS[1])
if stored and (#stored < 1 + STAMP or string.sub(stored, 1, 1) ~= FORMAT) then
  return redis.error_reply('UNREADABLE record')
end
local stamp = stored and string.sub(stored, 2, 1 + STAMP)
local tombstone, status = '', ''

if ARGV[1] == '1' then
  local last = stamp or NOTHING .. '\0'
  if ARGV[2] ~= '' and after(ARGV[2], last) then last = ARGV[2] end
  local dead = string.sub(last, 1, 8) .. '\1'
  tombstone = stamp == dead and 'replayed' or 'applied'
  stamp = dead
  if tombstone == 'applied' then
    redis.call('SET', KEYS[1], FORMAT .. dead, 'PX', ARGV[8])
    redis.call('PEXPIRE', KEYS[2], ARGV[8])
  end
end

if ARGV[3] ~= '' then
  local offered = string.sub(ARGV[3], 2, 1 + STAMP)
  if stamp == offered then
    status = 'replayed'
  elseif stamp and after(stamp, offered) then
    status = 'stale'
  else
    status, stamp = 'applied', offered
    if string.byte(offered, STAMP) == 1 then
      redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[8])
      redis.call('PEXPIRE', KEYS[2], ARGV[8])
    else
      redis.call('SET', KEYS[1], ARGV[3])
      redis.call('PERSIST', KEYS[2])
    end
  end
end

-- Asked whatever became of the change: who died before the arrival was queued comes again with a replay.
local function waiting()
  if ARGV[4] == '' then return {} end
  local prefixes = redis.call('SMEMBERS', KEYS[3]) -- nearly always none
  if #prefixes > 0 and redis.call('HEXISTS', KEYS[2], 'v:' .. ARGV[4]) == 0 then return {} end
  return prefixes
end

-- A deletion that is stored instead has nothing but its stamp; a record that lost is never one that a tombstone of this call deleted.
local held = ''
if (status == 'stale' or status == 'replayed') and string.byte(stamp, STAMP) == 0 and stored ~= ARGV[3] then held = stored end

local final = status
if status == '' or (status == 'stale' and tombstone ~= '') then final = tombstone end
if ARGV[4] == '' or final == 'stale' then return {tombstone, status, stamp, 0, waiting(), held} end

local mark = redis.call('HGET', KEYS[2], 'i:' .. ARGV[4])
if string.byte(stamp, STAMP) == 0 and ARGV[5] ~= '' then
  local vector = redis.call('HGET', KEYS[2], 'v:' .. ARGV[4])
  local made = vector and string.sub(vector, 2, 1 + STAMP)
  if made ~= stamp then
    if made and made == ARGV[7] and mark == made .. ARGV[6] then
      mark = stamp .. ARGV[6]
      redis.call('HSET', KEYS[2], 'v:' .. ARGV[4], FORMAT .. stamp .. string.sub(vector, 2 + STAMP), 'i:' .. ARGV[4], mark)
    else
      redis.call('HSET', KEYS[2], 'v:' .. ARGV[4], FORMAT .. stamp .. ARGV[5])
    end
  end
end
return {tombstone, status, stamp, mark == stamp .. ARGV[6] and 0 or 1, waiting(), held}
