-- fixed_window, also of a calendar: start, count

local fixed_window = { form = '<I8I8', fresh = { 0, 0 } }

function fixed_window.is_valid(state)
    return state[1] <= MAX_TIME and state[2] <= MAX_COUNT
end

-- The start and end of the window around that moment. Of a calendar the caller has sent three windows, by their bounds;
-- nothing is expected before or after them.
local function window_around(limit, moment)
    local bounds = limit.bounds
    if bounds then
        local at = moment < bounds[2] and 1 or moment < bounds[3] and 2 or 3
        return bounds[at], bounds[at + 1]
    end
    local start = moment - moment % limit.length
    return start, start + limit.length
end

local function window_used(state, limit, now)
    if state[1] >= window_around(limit, now) then
        return state[2]
    end
    return 0
end

local function window_write(state, limit, now, count)
    state[1] = max(state[1], (window_around(limit, now)))
    state[2] = count
end

function fixed_window.correct(state, limit, now)
    local start, ends = window_around(limit, now)
    if state[1] - now > ends - start then
        state[1] = start
        return true
    end
    return false
end

function fixed_window.admits(state, limit, now, hits)
    return window_used(state, limit, now) + hits <= limit.requests
end

function fixed_window.add(state, limit, now, hits)
    window_write(state, limit, now, min(window_used(state, limit, now) + hits, MAX_COUNT))
end

function fixed_window.refund(state, limit, now, hits)
    window_write(state, limit, now, max(window_used(state, limit, now) - hits, 0))
end

function fixed_window.merge(state, limit, latest, delta)
    local start = max(state[1], delta.here[1])
    if delta.here[1] <= latest then
        local count = merged(state, delta, function(of) return of[1] == start and of[2] or 0 end)
        state[1], state[2] = start, min(count, MAX_COUNT)
    end
end

function fixed_window.ends(state, limit, now)
    local _, ends = window_around(limit, state[1])
    return ends
end
