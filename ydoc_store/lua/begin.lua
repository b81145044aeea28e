-- Replaces the log by a snapshot, under its lease.
--   announced  '0': only look whether we may; {'rows', {row…}} are those that the index may have forgotten.
-- {'ok'}, {'rows', …}, {'lease'}, {'epoch', the log's}, or {state} of a log that should be looked at first.
local log_key, rows_key, lease_key = KEYS[1], KEYS[2], KEYS[3]
local token, epoch, announced, snapshot = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local ROWS = 7
if redis.call('HGET', lease_key, 'token') ~= token then return {'lease'} end
local log = open_log(log_key)
if log.state == 'newer' or log.state == 'corrupt' then return {log.state} end
if log.state ~= 'none' and tonumber(log.epoch) >= tonumber(epoch) then return {'epoch', log.epoch} end
if announced == '0' then
  return {'rows', log.state == 'ok' and {} or redis.call('SMEMBERS', rows_key)}
end
add_rows(rows_key, ROWS)
-- Added before the old ones are dropped: without memory, the first command fails and nothing has changed.
local moment = now()
local times = table.concat({moment, moment, moment, moment}, ' ')
redis.call('RPUSH', log_key, header(epoch, 0, times), snapshot)
redis.call('LTRIM', log_key, -2, -1)
return {'ok'}
