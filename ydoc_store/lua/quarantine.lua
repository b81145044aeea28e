-- Gives what is under the keys of a log other ones: KEYS[1] and KEYS[2] are its log's, and so on. Its rows and its lease
-- stay, unless they are none. {'moved'}, {'none'}, or {'taken'} if there is a log under the other name.
local TYPES = {'list', 'set', 'hash'} -- of the log, its rows, its lease
local LOG, LOG_AWAY = 1, 2
if redis.call('EXISTS', KEYS[LOG_AWAY]) == 1 then return {'taken'} end
local moved = false
for number, expected in ipairs(TYPES) do
  local from, to = KEYS[2 * number - 1], KEYS[2 * number]
  local found = redis.call('TYPE', from).ok
  if found ~= 'none' and (from == KEYS[LOG] or found ~= expected) then
    redis.call('RENAME', from, to)
    moved = true
  end
end
if not moved then return {'none'} end
local log = open_log(KEYS[LOG_AWAY])
if log.header then redis.call('LSET', log.key, HEADER, at_time(log.header, USED, now())) end
return {'moved'}
