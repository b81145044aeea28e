-- {'ok', epoch, at, {header, snapshot, entry…}}, or {state} if there is none that could be read.
local log = open_log(KEYS[1])
if log.state ~= 'ok' then return {log.state} end
return {'ok', log.epoch, log.at, redis.call('LRANGE', log.key, HEADER, -1)}
