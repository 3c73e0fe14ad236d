package queue

// Queue is first in, first out.
type Queue[T any] struct{ items []T }

func (q *Queue[T]) Push(item T) { q.items = append(q.items, item) }

func (q *Queue[T]) Pop() (item T, ok bool) {
	if len(q.items) == 0 {
		return item, false
	}
	item, q.items = q.items[0], q.items[1:]
	return item, true
}
