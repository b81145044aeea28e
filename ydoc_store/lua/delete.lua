-- Forgets the log and its rows, whatever is there, and what should be a lease and is none.
-- {row…}: those to be taken out of the index.
local log_key, rows_key, lease_key = KEYS[1], KEYS[2], KEYS[3]
local rows = redis.call('TYPE', rows_key).ok == 'set' and redis.call('SMEMBERS', rows_key) or {}
redis.call('DEL', log_key, rows_key)
if redis.call('TYPE', lease_key).ok ~= 'hash' then redis.call('DEL', lease_key) end
return rows
