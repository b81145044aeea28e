-- Adds an entry if the head is at (epoch, sequence), indexes its rows, releases the lease.
--   written    '1': write down when. A caller who did within the last second leaves it, as it costs a tenth of the call.
--   announced  '1': the rows are in the index by now. '0': answer {'rows', {row…}} if some are not, and change nothing.
-- {'ok'}, {'moved', head, {missed entry…}}, {'rows', …}, or why there is no such position.
local log_key, rows_key, lease_key = KEYS[1], KEYS[2], KEYS[3]
local epoch, sequence, token, written, announced, update = ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local ROWS = 9
local log = open_log(log_key)
local why_not = lacks(log, epoch, sequence)
if why_not then return why_not end
if log.head ~= tonumber(sequence) then
  return {'moved', log.head, entries(log, sequence)}
end
if announced == '1' then
  add_rows(rows_key, ROWS)
else
  local unknown = {}
  for number = ROWS, #ARGV do
    if redis.call('SISMEMBER', rows_key, ARGV[number]) == 0 then table.insert(unknown, ARGV[number]) end
  end
  if #unknown > 0 then return {'rows', unknown} end
end
redis.call('RPUSH', log_key, update)
if written == '1' then redis.call('LSET', log_key, HEADER, at_time(log.header, WRITTEN, now())) end
if token ~= '' then release(lease_key, token) end
return {'ok'}
