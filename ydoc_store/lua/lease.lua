-- Becomes the writer of a log if nobody else is, and nobody came earlier; otherwise stands in line, if told to.
--   token         the lease that is asked for; asking again for one that was granted gives it again
--   milliseconds  how long the lease lasts
--   stay, alive   '1': stand in line, where a waiter who did not ask again for `alive` milliseconds counts as dead
--   epoch, sequence  what the writer knows; '' if nothing
-- {'granted', {'ok', {entry…}} as since.lua} or {'granted', … as load.lua}, or {'busy', milliseconds, ahead of us},
-- or {state} of a log that cannot be read.
--
-- The lease is a hash: token, from, until, run, and for each waiter a field "w:token": when it came, until when it lives.
-- Whoever is told to wait does so at the list "<the lease's key>:<token>", where `wake` puts something when it is its turn.
local log_key, lease_key = KEYS[1], KEYS[2]
local token, milliseconds, stay, alive = ARGV[3], tonumber(ARGV[4]), ARGV[5] == '1', tonumber(ARGV[6])
local epoch, sequence = ARGV[7], ARGV[8]
local CLOCK_STEP = 1000 -- what lies further in the future than it can was written before the clock was set back
local FORGOTTEN = 3600000 -- an expired lease that nobody took is good for so long
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local came = string.format('%d%06d', time[1], time[2])

local held, waiting = {}, {}
local fields = redis.call('HGETALL', lease_key)
for number = 1, #fields, 2 do
  local waiter = string.match(fields[number], '^w:(.*)$')
  if waiter then
    local its_turn, lives = string.match(fields[number + 1], '^(%d+) (%d+)$')
    lives = tonumber(lives)
    if lives < now or lives > now + alive + CLOCK_STEP then
      redis.call('HDEL', lease_key, fields[number])
    else
      waiting[waiter] = {came = its_turn, lives = lives}
    end
  else
    held[fields[number]] = fields[number + 1]
  end
end

local mine = waiting[token]
local ahead = 0
for waiter, other in pairs(waiting) do
  if waiter ~= token and (not mine or other.came < mine.came or (other.came == mine.came and waiter < token)) then
    ahead = ahead + 1
  end
end
local busy = 0
-- A lease of another life keeps nobody waiting: what its holder meant to continue is gone with that.
if held.token and held.run == run and tonumber(held.from) <= now + CLOCK_STEP then
  busy = math.max(0, held['until'] - now)
end

local function keep(longest)
  redis.call('PEXPIRE', lease_key, FORGOTTEN + math.max(longest, busy))
end

if held.token ~= token and (busy > 0 or ahead > 0) then
  if stay and (not mine or mine.lives - now < alive / 2) then
    redis.call('HSET', lease_key, 'w:' .. token, (mine and mine.came or came) .. ' ' .. string.format('%d', now + alive))
    keep(alive)
  end
  return {'busy', busy, ahead}
end

local log = open_log(log_key)
if log.state == 'newer' or log.state == 'corrupt' then return {log.state} end
redis.call('HSET', lease_key, 'token', token, 'from', string.format('%d', now),
  'until', string.format('%d', now + milliseconds), 'run', run)
if mine then redis.call('HDEL', lease_key, 'w:' .. token) end
keep(milliseconds)
if log.state ~= 'ok' then return {'granted', {log.state}} end
if epoch ~= '' and not lacks(log, epoch, sequence) then return {'granted', {'missed', entries(log, sequence)}} end
return {'granted', {'ok', log.epoch, log.at, redis.call('LRANGE', log.key, HEADER, -1)}}
