-- Put before every other script. The first two arguments of each are the same:
--   run    which life of this server we are in: another one after a restart or a promotion, see redis_connections.py
--   index  the same for all primaries of a cluster, which hold the index of rows; "-" elsewhere
-- A log is one list, so that it comes and goes as a whole: a header, the snapshot, then the entries.
-- The header is "layout epoch at run index begun snapshotted written used": the entry at index i is that of sequence
-- at + i - 1, the last four are milliseconds since 1970, always 13 digits, so that they can be written over in place.
local run, index = ARGV[1], ARGV[2]
local LAYOUT = 1
local HEADER, SNAPSHOT, ENTRIES = 0, 1, 2
local SNAPSHOTTED, WRITTEN, USED = 2, 3, 4 -- which of the four times
local TIME, TIMES = 14, 55 -- how long one is, with its space, and all of them

-- The log at `key`, with `state` ok, none, restarted (written in another life: its end may be missing), newer or corrupt.
local function open_log(key)
  local header = redis.pcall('LINDEX', key, HEADER)
  if not header then return {state = 'none'} end
  if header.err then return {state = 'corrupt'} end
  local layout, epoch, at, its_run, its_index, times = string.match(header, '^(%d+) (%d+) (%d+) (%S+) (%S+) ()')
  local length = redis.call('LLEN', key)
  if tonumber(layout or string.match(header, '^(%d+) ')) ~= LAYOUT then
    return {state = string.match(header, '^%d+ ') and 'newer' or 'corrupt'}
  end
  if not layout or #header - times + 1 ~= TIMES or length < ENTRIES then return {state = 'corrupt'} end
  local state = (its_run == run and its_index == index) and 'ok' or 'restarted'
  at = tonumber(at)
  return {state = state, key = key, header = header, epoch = epoch, at = at, head = at + length - ENTRIES}
end

local function now()
  local time = redis.call('TIME')
  return string.format('%010d%03d', time[1], math.floor(time[2] / 1000))
end

local function header(epoch, at, times)
  return string.format('%d %s %s %s %s %s', LAYOUT, epoch, at, run, index, times)
end

-- A header with one of its times written over.
local function at_time(header, which, moment)
  local first = #header - TIMES + (which - 1) * TIME
  return string.sub(header, 1, first) .. moment .. string.sub(header, first + TIME)
end

-- The entries after `sequence`.
local function entries(log, sequence)
  return redis.call('LRANGE', log.key, ENTRIES + sequence - log.at, -1)
end

-- What to answer if the log does not hold this position, or nil.
local function lacks(log, epoch, sequence)
  if log.state ~= 'ok' then return {log.state} end
  sequence = tonumber(sequence)
  if log.epoch ~= epoch or sequence < log.at or sequence > log.head then
    return {'lost', log.epoch, log.at, log.head}
  end
end

local function add_rows(key, from)
  for first = from, #ARGV, 1000 do
    redis.call('SADD', key, unpack(ARGV, first, math.min(first + 999, #ARGV)))
  end
end

-- The lease at `key` is free: whoever is first in line for it hears of it, by an element in a list of his own. Those
-- who said nothing for long are passed over. See lease.lua.
local WOKEN = 1000 -- milliseconds for which that list is kept
local function wake(key)
  local fields, moment = redis.call('HGETALL', key), tonumber(now())
  local first, first_came
  for number = 1, #fields, 2 do
    local waiter = string.match(fields[number], '^w:(.*)$')
    if waiter then
      local came, lives = string.match(fields[number + 1], '^(%d+) (%d+)$')
      if tonumber(lives) >= moment and (not first or came < first_came) then first, first_came = waiter, came end
    end
  end
  if first then
    redis.call('RPUSH', key .. ':' .. first, '')
    redis.call('PEXPIRE', key .. ':' .. first, WOKEN)
  end
end

-- Never fails: what was done before it in a script stays done.
local function release(key, token)
  if redis.pcall('HGET', key, 'token') == token then
    redis.call('HDEL', key, 'token', 'from', 'until', 'run')
    if redis.call('EXISTS', key) == 1 then wake(key) end
  end
end
