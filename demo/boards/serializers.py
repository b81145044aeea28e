"""What the page shows, as it would be written for a REST view; rxcrdt takes it as it is."""

from django.contrib.auth import get_user_model
from rest_framework import serializers

from boards.models import Board, ChecklistItem, Column, Comment, Label, Task

__all__ = [
    "BoardSerializer",
    "ChecklistItemSerializer",
    "ColumnSerializer",
    "CommentSerializer",
    "LabelSerializer",
    "PersonSerializer",
    "TaskSerializer",
]


class PersonSerializer(serializers.ModelSerializer):
    """A member, an assignee or an author: never more of an account than a name."""

    name = serializers.CharField(source="get_full_name", read_only=True)

    class Meta:
        model = get_user_model()
        fields = ["id", "username", "name"]


class LabelSerializer(serializers.ModelSerializer):
    class Meta:
        model = Label
        fields = ["id", "name", "color"]


class ChecklistItemSerializer(serializers.ModelSerializer):
    class Meta:
        model = ChecklistItem
        fields = ["id", "text", "done"]


class CommentSerializer(serializers.ModelSerializer):
    author = PersonSerializer(read_only=True)

    class Meta:
        model = Comment
        fields = ["id", "author", "text", "created_at"]


class TaskSerializer(serializers.ModelSerializer):
    assignee = PersonSerializer(read_only=True)
    labels = LabelSerializer(many=True, read_only=True)
    checklist = ChecklistItemSerializer(many=True, read_only=True)
    comments = CommentSerializer(many=True, read_only=True)

    class Meta:
        model = Task
        fields = [
            "id",
            "title",
            "description",
            "due_date",
            "estimate",
            "assignee",
            "labels",
            "checklist",
            "comments",
        ]


class ColumnSerializer(serializers.ModelSerializer):
    tasks = TaskSerializer(many=True, read_only=True)

    class Meta:
        model = Column
        fields = ["id", "name", "tasks"]


class BoardSerializer(serializers.ModelSerializer):
    """A board with everything on it."""

    members = PersonSerializer(many=True, read_only=True)
    labels = LabelSerializer(many=True, read_only=True)
    columns = ColumnSerializer(many=True, read_only=True)

    class Meta:
        model = Board
        fields = ["id", "name", "purpose", "members", "labels", "columns"]
