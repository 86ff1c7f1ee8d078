-- sliding_window: newest segment, counts of 17 segments; segment n is at n % 17

local sliding_window = { form = '<' .. string.rep('I8', SEGMENTS + 2), fresh = {} }
for i = 1, SEGMENTS + 2 do
    sliding_window.fresh[i] = 0
end

function sliding_window.is_valid(state)
    local count = 0
    for i = 2, SEGMENTS + 2 do
        count = count + state[i]
    end
    return state[1] <= MAX_TIME and count <= MAX_COUNT
end

local function segment_at(limit, now)
    return floor(now / (limit.length / SEGMENTS))
end

local function place_of(segment)
    return 2 + segment % (SEGMENTS + 1)
end

local function segments_used(state, limit, now)
    local used = 0
    for segment = max(max(segment_at(limit, now), state[1]) - SEGMENTS, 0), state[1] do
        used = used + state[place_of(segment)]
    end
    return used
end

local function advance(state, limit, now)
    local current = max(segment_at(limit, now), state[1])
    local passed = min(current - state[1], SEGMENTS + 1)
    for segment = current + 1 - passed, current do
        state[place_of(segment)] = 0
    end
    state[1] = current
end

function sliding_window.correct(state, limit, now)
    local newest = state[1]
    if newest * (limit.length / SEGMENTS) - now <= limit.length then
        return false
    end
    local current, counts = segment_at(limit, now), {}
    for age = 0, SEGMENTS do
        counts[age] = state[place_of(newest - age)]
    end
    for age = 0, SEGMENTS do
        state[place_of(current - age)] = age <= current and counts[age] or 0
    end
    state[1] = current
    return true
end

function sliding_window.admits(state, limit, now, hits)
    return segments_used(state, limit, now) + hits <= limit.requests
end

function sliding_window.add(state, limit, now, hits)
    local room = max(MAX_COUNT - segments_used(state, limit, now), 0)
    advance(state, limit, now)
    local place = place_of(state[1])
    state[place] = state[place] + min(hits, room)
end

function sliding_window.refund(state, limit, now, hits)
    advance(state, limit, now)
    for segment = max(state[1] - SEGMENTS, 0), state[1] do
        local place = place_of(segment)
        local taken = min(hits, state[place])
        state[place] = state[place] - taken
        hits = hits - taken
    end
end

function sliding_window.merge(state, limit, latest, delta)
    local newest = delta.here[1]
    if newest > segment_at(limit, latest) then
        return
    end
    advance(state, limit, newest * (limit.length / SEGMENTS))
    local room = MAX_COUNT
    for segment = state[1], max(state[1] - SEGMENTS, 0), -1 do
        local count = merged(state, delta, function(of)
            return segment <= of[1] and segment >= of[1] - SEGMENTS and of[place_of(segment)] or 0
        end)
        state[place_of(segment)] = min(count, room)
        room = room - state[place_of(segment)]
    end
end

function sliding_window.ends(state, limit, now)
    return (state[1] + 1 + SEGMENTS) * (limit.length / SEGMENTS)
end
