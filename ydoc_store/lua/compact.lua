-- Lets a snapshot stand for everything up to (epoch, sequence). {'ok'}, or why there is no such position.
local epoch, sequence, snapshot = ARGV[3], ARGV[4], ARGV[5]
local log = open_log(KEYS[1])
local why_not = lacks(log, epoch, sequence)
if why_not then return why_not end
local times = string.sub(at_time(log.header, SNAPSHOTTED, now()), -TIMES)
local folded = tonumber(sequence) - log.at
-- Written over what is folded, before the rest is dropped: without memory, the first command fails.
redis.call('LSET', log.key, folded + SNAPSHOT, snapshot)
redis.call('LSET', log.key, folded + HEADER, header(epoch, sequence, times))
redis.call('LTRIM', log.key, folded, -1)
return {'ok'}
