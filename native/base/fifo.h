// fifo.h: a singly linked first-in-first-out list through a `next` field of its items. Adding never allocates.
// Layer: base. Owner of the items: whoever holds the list; take() hands one over. Thread: its owner's.
#pragma once

namespace tofu {

template <typename T>
class Fifo {
 public:
  bool empty() const { return head_ == nullptr; }
  T* front() const { return head_; }
  T* back() const { return tail_; }
  void push(T* item) {
    item->next = nullptr;
    if (tail_ == nullptr) head_ = item;
    else tail_->next = item;
    tail_ = item;
  }
  void push_front(T* item) {
    item->next = head_;
    head_ = item;
    if (tail_ == nullptr) tail_ = item;
  }
  T* take() {
    T* item = head_;
    if (item == nullptr) return nullptr;
    head_ = item->next;
    if (head_ == nullptr) tail_ = nullptr;
    item->next = nullptr;
    return item;
  }
  template <typename Visit>
  void each(Visit visit) const {
    for (T* item = head_; item != nullptr; item = item->next) visit(item);
  }
  /** Moves everything of `other` behind what is here. */
  void append(Fifo& other) {
    if (other.head_ == nullptr) return;
    if (tail_ == nullptr) head_ = other.head_;
    else tail_->next = other.head_;
    tail_ = other.tail_;
    other.head_ = other.tail_ = nullptr;
  }

 private:
  T* head_ = nullptr;
  T* tail_ = nullptr;
};

}  // namespace tofu
