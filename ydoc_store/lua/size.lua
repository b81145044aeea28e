-- {entries, their bytes, the snapshot's bytes, rows}, or {state, rows}
local log_key, rows_key = KEYS[1], KEYS[2]
local rows = redis.call('SCARD', rows_key)
local log = open_log(log_key)
if log.state ~= 'ok' then return {log.state, rows} end
local bytes = 0
for _, update in ipairs(entries(log, log.at)) do bytes = bytes + #update end
return {'ok', log.head - log.at, bytes, #redis.call('LINDEX', log_key, SNAPSHOT), rows}
