-- Forgets the log and its rows, whatever is there. {row…}: those to be taken out of the index.
local log_key, rows_key = KEYS[1], KEYS[2]
local rows = redis.call('TYPE', rows_key).ok == 'set' and redis.call('SMEMBERS', rows_key) or {}
redis.call('DEL', log_key, rows_key)
return rows
