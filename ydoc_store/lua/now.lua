-- Milliseconds since 1970.
return now()
